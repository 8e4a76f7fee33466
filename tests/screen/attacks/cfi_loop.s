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
	.cfi_escape 0xf, 0x3, 0x2f, 0xfd, 0xff
	ret
	.cfi_endproc
