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
	rorx $3, %eax, %eax
	ret
	.cfi_endproc
