#define LIMIT 12u
