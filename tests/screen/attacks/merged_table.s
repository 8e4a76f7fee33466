# screen.object
	.cfi_startproc
	andl	$3, %esi
	leaq	.LX(%rip), %rdx
	movl	(%rdx,%rsi,4), %eax
	addl	counter(%rip), %eax
	ret
	.cfi_endproc
# --- extra
	.section .rodata.cst4,"aM",@progbits,4
	.align 4
.LX:
	.long 10, 20, 30, 40
