int undefined_function(void);
int main(void) { return undefined_function(); }
