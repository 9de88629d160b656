#!/bin/sh
# Debian's gzip: a text packed at two levels and unpacked again.
size=$((900 * $1))
for level in 6 9; do
  head -c $size /data/text | gzip -$level -n > packed
  gzip -d < packed > unpacked
  cat packed unpacked
done | md5sum
