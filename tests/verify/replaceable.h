int priced(int count);
int clipped(int value);
unsigned coded(const unsigned *values, int count);

extern const int most;
extern const unsigned short codes[64];
int price(int count);
