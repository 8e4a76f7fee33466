#error "not for this target"
int x = ;
