#!/bin/sh
# Debian's OpenSSL: the modular powers that RSA is made of, by testing a prime of 521 bits again and again.
# The same code on every processor: SSE2 and nothing newer.
export OPENSSL_ia32cap=0x7808011:0
n=$(($1 / 500))
while [ $n -ge 0 ]; do
  openssl prime -hex "$(cat /data/prime)"
  n=$((n - 1))
done | md5sum
