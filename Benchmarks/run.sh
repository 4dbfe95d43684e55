#!/bin/sh
# Compares the engine with its peers, side by side in one run, and prints rates by processor time, and ratios.
# Peers that are not installed are left out. Debian: g++ libsystemc-dev spin python3-simpy3 (or SimPy from PyPI,
# with PYTHON naming the interpreter that has it).
set -eu
cd "$(dirname "$0")"
out=${BENCH_OUT:-.build/peers}
python=${PYTHON:-python3}
events=${EVENTS:-4000000}
mkdir -p "$out"

swift build -c release >&2
bench=$(swift build -c release --show-bin-path)/bench

have() { command -v "$1" >/dev/null 2>&1; }

# table NAME: sets the rates in $out/NAME beside ours, in $out/ours.
table() {
  awk -v name="$1" -F '\t' 'NR == FNR { ours[$1] = $2; next }
    { printf "  %6s LPs  %-22s %9.2f M/s   ours is %6.2f times as fast\n", $1, name, $2 / 1e6, ours[$1] / $2 }' \
    "$out/ours" "$out/$2"
}

# median FILE: of several runs' lines `name <tab> number …`, for each name the one with the median number.
median() {
  sort -s -t "$(printf '\t')" -k1,1n -k2,2n "$1" | awk -F '\t' '
    function flush() { if (n) print line[int((n + 1) / 2)] }
    $1 != name { flush(); name = $1; n = 0 }
    { line[++n] = $0 }
    END { flush() }'
}

echo "PHOLD, events a second (median of 5 runs, ours and C++ in turn)"
if have g++; then g++ -O2 -o "$out/phold" peers/phold.cpp; fi
rm -f "$out/ours.all" "$out/cpp.all"
for round in 1 2 3 4 5; do
  "$bench" phold "$events" >>"$out/ours.all"
  if have g++; then "$out/phold" "$events" >>"$out/cpp.all"; fi
done
median "$out/ours.all" >"$out/ours"
awk -F '\t' '{ printf "  %6s LPs  %-22s %9.2f M/s\n", $1, "bootsim", $2 / 1e6 }' "$out/ours"
if have g++; then
  median "$out/cpp.all" >"$out/cpp"
  table "C++ priority_queue" cpp
  # The same generator, delays and order of equal times: each LP has had the same number of events.
  cut -f 1,3 "$out/ours.all" | sort -u >"$out/ours.check"
  if ! cut -f 1,3 "$out/cpp.all" | sort -u | cmp -s - "$out/ours.check"; then
    echo "  the events handled differ" >&2
    exit 1
  fi
  if g++ -O2 -o "$out/phold_systemc" peers/phold_systemc.cpp -lsystemc 2>/dev/null; then
    for lps in 8 64 1024 65536; do
      "$out/phold_systemc" $lps $((events / 10)) 2>/dev/null | grep -P '^\d+\t' || true
    done >"$out/systemc"
    table SystemC systemc
  else
    echo "  (no SystemC)"
  fi
fi
if "$python" -c 'import simpy' 2>/dev/null; then
  "$python" peers/phold.py $((events / 20)) >"$out/simpy"
  table SimPy simpy
else
  echo "  (no SimPy)"
fi

echo "Exploration without partial-order reduction, states a second"
"$bench" processes >"$out/liveness"
awk -F '\t' '{ printf "  bootsim  %8d states  %6.2f M/s   with the search for endless runs\n", $1, $2 / 1e6 }' "$out/liveness"
"$bench" processes --safety >"$out/processes"
awk -F '\t' '{ printf "  bootsim  %8d states  %6.2f M/s\n", $1, $2 / 1e6 }' "$out/processes"
if have spin && have gcc; then
  (
    cd "$out"
    spin -a "$OLDPWD/peers/processes.pml"
    # SPIN at its best: without checks and fairness that the model has no use for, and with a stack as deep as needed
    # (a deeper one takes seconds of system time to set up).
    gcc -O2 -DSAFETY -DNOREDUCE -DNOBOUNDCHECK -DNOFAIR -DMEMLIM=4096 -o pan pan.c
    # "times" after a single child: its user and system time.
    sh -c './pan -m1000000 -w22 >pan.out; times' | tail -1 >pan.time
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
    awk -v states="$states" '{ for (i = 1; i <= 2; i++) { split($i, t, "[ms]"); sum += t[1] * 60 + t[2] }
      print states, sum }' pan.time >spin
  )
  awk 'NR == FNR { ours = $2; count = $1; next }
    { rate = $1 / $2
      printf "  SPIN     %8d states  %6.2f M/s   ours is %.2f times as fast\n", $1, rate / 1e6, ours / rate
      if ($1 != count) { print "  the numbers of states differ"; exit 1 } }' "$out/processes" "$out/spin"
else
  echo "  (no SPIN)"
fi
