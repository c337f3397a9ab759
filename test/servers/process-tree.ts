import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
}

/** `pid` and all its descendants: PostgreSQL serves each connection from a child process. */
export function processTree(pid: number): number[] {
  const rows = processRows();
  const tree = [pid];
  // The list grows while it is walked, so grandchildren are found too.
  for (const member of tree) {
    tree.push(...rows.filter((row) => row.parent === member).map((row) => row.pid));
  }
  return tree;
}

/** False for a zombie too: it holds nothing any more, it only waits for its parent to notice. */
export function isAlive(pid: number): boolean {
  const state = statOf(pid)?.[0];
  if (state !== undefined) return state !== 'Z' && state !== 'X';
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether no thread of a process runs: each is stopped or gone. True where there is no /proc to look at. */
export function isStopped(pid: number): boolean {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return true;
  }
  return threads.every((thread) => /^[TtZX]?$/.test(statOf(`${pid}/task/${thread}`)?.[0] ?? ''));
}

/** Sends a signal to every process that is still there. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

function processRows(): ProcessRow[] {
  const fromProc = rowsFromProc();
  if (fromProc.length > 0) return fromProc;
  // macOS has no /proc, small Linux images have no ps: one of the two is always there.
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return table.split('\n').flatMap((line) => {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    return pid === undefined || parent === undefined ? [] : [{ pid, parent }];
  });
}

function rowsFromProc(): ProcessRow[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const parent = statOf(Number(name))?.[1];
      return parent === undefined ? [] : [{ pid: Number(name), parent: Number(parent) }];
    });
}

/** The fields of /proc/PID/stat after the command: state, parent pid, … */
function statOf(pid: number | string): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command is in brackets and may itself contain brackets and spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
