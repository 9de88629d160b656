/*
 * A user's program full of x87: arithmetic in all three precisions, conversions, the mathematical library, decimal output and
 * input, rounding modes, exception flags, and a trapped division. Every line it prints is the same wherever the FPU is right;
 * sums of transcendental functions are printed to fewer digits than they have.
 */
#include <fenv.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t hash = 2166136261u;
static uint64_t seed = 88172645463325252ull;

static void mix(const void *data, int length) {
  for (const unsigned char *at = data; length-- > 0; at++) hash = (hash ^ *at) * 16777619u;
}
static void mix_double(double value) { mix(&value, 8); }
static uint32_t random32(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 16);
}
static double random_double(void) { return (int32_t)random32() / 65536.0; }

static void on_error(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("signal %d code %d\n", signal, info->si_code);
  exit(0);
}

int main(void) {
  double a = 0.1, b = 3.7;
  for (int i = 0; i < 100000; i++) {
    a = a * 1.0000001 + b / (i + 1);
    b = b - a * 1e-7;
    if ((i & 1023) == 0) mix_double(a), mix_double(b);
  }
  printf("double %08x %.17g %.17g\n", hash, a, b);
  float f = 1;
  for (int i = 1; i < 50000; i++) {
    f = f * 1.01f;
    if (f > 1e30f) f = 1e-30f;
    f += (float)i * 1e-35f;
    mix(&f, 4);
  }
  printf("single %08x %g\n", hash, f);
  long double l = 1;
  for (int i = 1; i < 50000; i++) {
    l = l * 1.00003L + 1.0L / i;
    mix(&l, 10);
  }
  printf("extended %08x %.20Lg\n", hash, l);
  for (int i = 0; i < 10000; i++) {
    double x = random_double(), y = random32() / 4e9 + 0.5;
    int exponent;
    mix_double(sqrt(fabs(x)));
    mix_double(fmod(x, y));
    mix_double(floor(x));
    mix_double(rint(x));
    mix_double(ldexp(x, i % 50));
    mix_double(frexp(x, &exponent));
    long whole = lrint(x);
    long long large = (long long)(x * 1e6);
    mix(&whole, 4);
    mix(&large, 8);
  }
  printf("conversions %08x\n", hash);
  double sum = 0;
  long double long_sum = 0;
  for (int i = 0; i < 5000; i++) {
    double x = random_double() / 4096;
    long double y = random_double() / 4096;
    sum += sin(x) + cos(x) + tan(x) + atan(x) + atan2(x, 2) + exp(x / 100) + log(fabs(x) + 1) + pow(fabs(x) + .1, .3);
    long_sum += sinl(y) + cosl(y) + tanl(y) + atanl(y) + expl(y / 100) + logl(fabsl(y) + 1) + powl(fabsl(y) + .1L, .3L);
  }
  printf("functions %.10g %.15Lg\n", sum, long_sum);
  for (int i = 0; i < 5000; i++) {
    char text[64];
    uint64_t bits = (uint64_t)random32() << 32 | random32();
    double x;
    memcpy(&x, &bits, 8);
    if (isnan(x)) continue;
    snprintf(text, sizeof text, "%.17g", x);
    mix(text, strlen(text));
    if (strtod(text, NULL) != x) printf("%s reads as another number\n", text);
    snprintf(text, sizeof text, "%.10La", (long double)x * 3);
    mix(text, strlen(text));
  }
  printf("text %08x\n", hash);
  volatile double zero = 0, one = 1, three = 3, result;
  static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int i = 0; i < 4; i++) {
    fesetround(modes[i]);
    double up = one / three, down = -one / three;
    fesetround(FE_TONEAREST);
    printf("mode %d %.17g %.17g\n", i, up, down);
  }
  feclearexcept(FE_ALL_EXCEPT);
  result = one / zero;
  printf("flags %x", fetestexcept(FE_ALL_EXCEPT));
  result = zero / zero;
  printf(" %x %d %d\n", fetestexcept(FE_ALL_EXCEPT), result == result, result < one);
  struct sigaction action = {.sa_sigaction = on_error, .sa_flags = SA_SIGINFO};
  sigaction(SIGFPE, &action, NULL);
  unsigned short control;
  __asm__ volatile("fnclex; fnstcw %0" : "=m"(control));
  control &= ~4;
  __asm__ volatile("fldcw %0" ::"m"(control));
  result = one / zero;
  printf("not trapped\n");
  return 1;
}
