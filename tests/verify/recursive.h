struct node {
    struct node *left, *right;
};

int height(const struct node *node);
long weight(const struct node *node, long a, long b, long c, long d);
long leaves(const struct node *node, long each);
long through(const struct node *node, void *next);
long spine(const struct node *node, long each);
