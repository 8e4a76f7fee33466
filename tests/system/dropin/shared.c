int shared_value = 4;
int shared(void) { return shared_value; }
