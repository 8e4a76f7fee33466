/* A limit on what three bytes make up together: one text in 200,000 lies on it. */
int in_range(const unsigned char *text)
{
    if ((text[0] & 0xF0) != 0xE0 || (text[1] & 0xC0) != 0x80 || (text[2] & 0xC0) != 0x80)
        return -1;
    unsigned point = (text[0] & 0x0Fu) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
    return point > 0xA9FF ? 1 : 0;
}
