#!/bin/sh
# Debian's OpenSSL: a cipher and two digests over a text.
# The same code on every processor: SSE2 and nothing newer.
export OPENSSL_ia32cap=0x7808011:0
size=$((2000 * $1))
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
{
  head -c $size /data/text | openssl enc -aes-256-cbc -K $key -iv 0123456789abcdef0123456789abcdef
  head -c $size /data/text | openssl dgst -sha256 -r
  head -c $size /data/text | openssl dgst -sha3-256 -r
} | md5sum
