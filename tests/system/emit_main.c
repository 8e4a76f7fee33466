#include <stdio.h>

int hot(int), stateful(int), inside(int), through(int), state(void), overridable(int), named(int), also_named(int);
int (*address(void))(int);
double scaled(double);

int main(void)
{
    printf("%d %d %d ", hot(2), inside(2), address()(2));
    printf("%d ", stateful(5));
    printf("%d ", stateful(6));
    printf("%d %g ", state(), scaled(2));
    printf("%d %d %d %d\n", through(3), overridable(1), named(2), also_named(2));
    return !(address() == hot && named == also_named);
}
