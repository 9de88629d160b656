#!/bin/sh
# Debian's xz: a text packed and unpacked again.
head -c $((450 * $1)) /data/text | xz -3 > packed
xz -d < packed > unpacked
cat packed unpacked | md5sum
