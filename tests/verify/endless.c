/* What is called takes as long as it is told to. */
unsigned long waited(unsigned long turns);

unsigned long waits(unsigned long turns, unsigned long other)
{
    unsigned long found = waited(turns);
    return turns > other ? found : found + other;
}
