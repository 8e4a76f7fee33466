# screen.code
	.cfi_startproc
	xorl	%eax, %eax
	testl	%esi, %esi
	jle	.Lend
.Lloop:
	addl	(%rdi), %eax
	addq	$4, %rdi
	subl	$1, %esi
	jne	.Lloop
.Lend:
	addl	counter(%rip), %eax
	mulps	(%rdi), %xmm0
	ret
	.cfi_endproc
