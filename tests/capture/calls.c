#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
#include <time.h>
#define N __attribute__((noinline,noclone))
long global = 7; static long statics[600]; __thread long tls = 5; static jmp_buf env; static volatile int sigs;
N long leaf(long a,long b){ return a*31+b; }
N long sum(const long*p,int n){ long s=0; for(int i=0;i<n;i++) s+=p[i]; return s; }
N void bump(long d){ global+=d; statics[5]=global; tls+=d; }
N double mul(double a,double b){ return a*b+0.5; }
static int cmp(const void*a,const void*b){ long x=*(long*)a,y=*(long*)b; return (x>y)-(x<y); }
N void sorter(long*p,int n){ qsort(p,n,sizeof*p,cmp); }
N void copier(char*d,const char*s,int n){ memcpy(d,s,n); }
N void say(int i){ printf("say %d\n",i); fflush(stdout); }
N long fib(long n){ return n<2?n:fib(n-1)+fib(n-2); }
N void jumper(int x){ if(x) longjmp(env,x); }
N long now(void){ struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t); return t.tv_nsec; }
static void on(int s){ if(s==SIGCHLD) sigs++; }
N long threaded(long a){ tls+=a; return tls; }
static void*run(void*v){ long s=0; for(int i=0;i<20000;i++) s+=threaded(i&3); return (void*)s; }
int main(int c,char**v){
  signal(SIGALRM,on); signal(SIGCHLD,on); ualarm(3000,3000);
  long a[1500]; for(int i=0;i<1500;i++) a[i]=(i*7919)%1000;
  long t=0; for(int i=0;i<3000;i++){ t+=leaf(i,t); t+=sum(a,100+i%1400); bump(1); t+=(long)mul(i,.5); char d[64]; copier(d,"hello, captured world",20); t+=d[3]; }
  for(int i=0;i<30;i++){ a[i]^=i; sorter(a,64); t+=fib(15); t+=now()&0; }
  for(int i=0;i<30;i++){ say(i); if(setjmp(env)==0) jumper(3); } /* a timer may end a call whose capture is not done */
  pthread_t th[2]; void*r; for(int i=0;i<2;i++) pthread_create(th+i,0,run,0); for(int i=0;i<2;i++){ pthread_join(th[i],&r); t+=(long)r; }
  ualarm(0,0); char b[100]; int n=read(0,b,100); printf("%ld %ld %ld %d sigs=%d\n",t,global,statics[5],n,sigs); return 42; }
