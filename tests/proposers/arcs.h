extern unsigned long total;
unsigned long weighed(const unsigned char *text, int length);
