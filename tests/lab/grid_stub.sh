# A run: FOLDER NAME BEHAVIOUR PYTHON.  Each call is one line of FOLDER/calls.
echo "$2" >> "$1/calls"
case "$3" in
  finish) mkdir -p "$1/$2"; cp "$1/result.json" "$1/$2/result.json"; echo done ;;
  slow) sleep 1; mkdir -p "$1/$2"; cp "$1/result.json" "$1/$2/result.json"; echo "$2" >> "$1/ends" ;;
  fail) echo "some output"; echo "error: training has diverged"; exit 1 ;;
  lie) echo "ended well, but left nothing" ;;
  meet)  # ends only when another run is at work at the same time
    touch "$1/$2.here"
    i=0; while [ $(ls "$1"/*.here | wc -l) -lt 2 ]; do i=$((i+1)); [ $i -gt 400 ] && exit 3; sleep 0.05; done
    mkdir -p "$1/$2"; cp "$1/result.json" "$1/$2/result.json" ;;
  wait)  # until it is interrupted
    trap 'echo "interrupted; run the same command again to go on"; exit 130' INT
    touch "$1/$2.here"; i=0; while [ $i -lt 600 ]; do i=$((i+1)); sleep 0.05; done; exit 3 ;;
esac
