#include "inc/h.h"
#define VALUE 7
	.text
	.globl start
	.type start, @function
start:
	movl $VALUE, %eax
	ret
	.size start, .-start
	.section .note.GNU-stack,"",@progbits
