# screen.text
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
	.bundle_align_mode 5
	ret
	.cfi_endproc
