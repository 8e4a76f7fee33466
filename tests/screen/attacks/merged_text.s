# screen.object
	.cfi_startproc
	andl	$3, %esi
	leaq	.LX(%rip), %rdx
	movzbl	(%rdx,%rsi), %eax
	addl	counter(%rip), %eax
	ret
	.cfi_endproc
# --- extra
	.section .rodata.str1.1,"aMS",@progbits,1
.LX:
	.string "\001\000\003\002"
