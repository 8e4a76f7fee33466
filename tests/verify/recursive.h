struct node {
    struct node *left, *right;
};

int height(const struct node *node);
