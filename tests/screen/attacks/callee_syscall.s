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
	call gadget.aicc0
	ret
	.cfi_endproc
# --- extra
	.text
	.type gadget.aicc0, @function
gadget.aicc0:
	.cfi_startproc
	syscall
	ret
	.cfi_endproc
	.size gadget.aicc0, .-gadget.aicc0
