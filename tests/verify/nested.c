/* A function that calls a static one, of which a candidate brings a copy along. */

static __attribute__((noipa)) unsigned mixed(const char *text, unsigned value)
{
    if (*text == '(')
        return mixed(text + 1, value * 3 + 1) ^ value;
    return value + *text;
}

unsigned mix_all(const char *text)
{
    unsigned all = 0;
    for (; *text; text++)
        all = all * 31 + mixed(text, all);
    return all;
}
