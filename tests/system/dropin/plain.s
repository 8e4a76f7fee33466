	.text
	.globl hot
hot:
	movl $7, %eax
	ret
	.section .note.GNU-stack,"",@progbits
