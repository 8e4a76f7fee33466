struct observer {
    int (*told)(struct observer *, int);
    long sum;
};

extern long all;
int tally(int value);
int notify(struct observer *observer, int value);
int limited(int value);
int old_style(int value);
int work(int value);
void report(const char *format, ...);
int unprototyped();
