#!/bin/sh
# Runs nvcc and keeps what ptxas says of registers, shared memory and spills beside the object, as
# OBJECT.resources; everything else that nvcc says is passed on.
object=
previous=
for word in "$@"; do
    [ "$previous" = -o ] && object=$word
    previous=$word
done
"$@" 2> "$object.log"
status=$?
# Lines of ptxas, and those that it indents below them.
pattern='^ptxas info|^    [0-9]+ bytes stack frame'
grep -E "$pattern" "$object.log" > "$object.resources"
grep -vE "$pattern" "$object.log" >&2
rm -f "$object.log"
exit $status
