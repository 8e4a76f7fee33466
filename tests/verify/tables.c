/* Bodies with tables of their own: a copy of GCC's is right, one that is wrong in one entry is so for one word alone. */
#ifndef WRONG
#define WRONG 0
#endif

struct word {
    const char *name;
    int number;
};

static const struct word words[] = {
    {"auto", 1}, {"break", 2}, {"case", 3}, {"char", 4}, {"const", 5}, {"continue", 6}, {"default", 7}, {"do", 8},
    {"double", 9}, {"else", 10}, {"enum", 11}, {"extern", 12}, {"float", 13}, {"for", 14}, {"goto", 15}, {"if", 16},
    {"inline", 17}, {"int", 18}, {"long", 19}, {"register", 20}, {"restrict", 21}, {"return", 22}, {"short", 23},
    {"signed", 24}, {"sizeof", 25}, {"static", 26}, {"struct", 27}, {"switch", 28}, {"typedef", 29},
    {WRONG == 1 ? "uniom" : "union", WRONG == 2 ? 31 : 30}, {"unsigned", 31}, {"void", 32}, {"volatile", 33},
    {"while", 34},
};

int keyword_number(const char *text)
{
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        const char *one = text, *other = words[i].name;
        while (*one && *one == *other)
            one++, other++;
        if (*one == *other)
            return words[i].number;
    }
    return 0;
}

unsigned char reversed(unsigned char byte)
{
#ifdef TABLE
    static const unsigned char nibbles[] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    return (unsigned char)(nibbles[byte & 15] << 4 | nibbles[byte >> 4]);
#else
    unsigned char found = 0;
    for (int bit = 0; bit < 8; bit++)
        found = (unsigned char)(found | ((byte >> bit & 1) << (7 - bit)));
    return found;
#endif
}
