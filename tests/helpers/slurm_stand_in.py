"""Small programs in the place of SLURM's: ``sbatch`` really runs the batch script, here and now.

The state of every job is a file in ``jobs/``; ``sacct`` reads it. Files make them fail on purpose: ``refuse``
(sbatch says why it will not), ``lose`` (the next job dies before it has begun).
"""

from __future__ import annotations

import os
import stat

SBATCH = """#!/bin/bash
here=$(dirname "$0")
echo "sbatch $*" >> "$here/calls"
if [ -e "$here/refuse" ]; then
  echo "sbatch: error: $(cat "$here/refuse")" >&2
  exit 1
fi
job=$(( $(ls "$here/jobs" | wc -l) + 100 ))
echo RUNNING > "$here/jobs/$job"
cp "$1" "$here/scripts/$job.sh"
(
  if [ -e "$here/lose" ]; then
    rm "$here/lose"
    echo NODE_FAIL > "$here/jobs/$job"
    exit
  fi
  export SLURM_JOB_ID=$job SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0
  export SLURM_JOB_NODELIST=node[7] SLURM_PROCID=0 SLURM_LOCALID=0
  if bash "$here/scripts/$job.sh"; then echo COMPLETED; else echo FAILED; fi > "$here/scripts/$job.end"
  mv "$here/scripts/$job.end" "$here/jobs/$job"
) > /dev/null 2> "$here/stderr" < /dev/null &
echo "Submitted batch job $job"
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
  case $1 in
    --output) out=$2; shift 2;;
    --error) error=$2; shift 2;;
    *) shift;;
  esac
done
name() { local text=${1//%j/$SLURM_JOB_ID}; echo "${text//%t/0}"; }
exec "$@" > "$(name "$out")" 2> "$(name "$error")"
"""
SACCT = """#!/bin/bash
here=$(dirname "$0")
echo "sacct $*" >> "$here/calls"
echo "JobID|State|NodeList"
while [ $# -gt 0 ]; do
  if [ "$1" = -j ]; then echo "$2|$(cat "$here/jobs/$2")|node7"; shift; fi
  shift
done
"""
OTHERS = """#!/bin/bash
echo "$(basename "$0") $*" >> "$(dirname "$0")/calls"
"""
PROGRAMS = {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT} | dict.fromkeys(
    ("squeue", "scontrol", "scancel"), OTHERS
)


def install(place):
    """Write them into a new folder; returns the PATH on which they are found first."""
    for folder in ("jobs", "scripts"):
        (place / folder).mkdir(parents=True)
    for name, text in PROGRAMS.items():
        (place / name).write_text(text)
        (place / name).chmod(stat.S_IRWXU)
    return f"{place}{os.pathsep}{os.environ['PATH']}"
