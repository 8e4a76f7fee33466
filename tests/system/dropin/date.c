const char *when = __DATE__ __TIME__;
