#!/bin/sh
# Debian's dash: arithmetic, functions, strings, command substitution, pipes to busybox.
collatz() {
  n=$1 steps=0
  while [ "$n" -ne 1 ]; do
    if [ $((n % 2)) -eq 0 ]; then n=$((n / 2)); else n=$((3 * n + 1)); fi
    steps=$((steps + 1))
  done
}
{
  i=1
  while [ $i -le $(($1 / 6 + 1)) ]; do
    collatz $i
    line="item $i: $steps"
    case "$line" in
      *7*) echo "${line#item }" ;;
      *) echo "${line%:*}=$steps" ;;
    esac
    i=$((i + 1))
  done
  i=0
  while [ $i -le $(($1 / 16)) ]; do
    word=$(echo "line $i" | sed "s/line/$i and/")
    echo "$word" | tr a-z A-Z
    i=$((i + 1))
  done
  head -n $(($1 * 3 + 1)) /data/text | sort | uniq -c | awk '{ s += $1 * length($2) } END { print s }'
} | md5sum
