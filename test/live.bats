#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# `top` without a container: a live view on a terminal, one table in a pipe.
load helpers

@test "top in a pipe prints once what containers use" {
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    berth top
    [[ ${lines[0]} == ID*NAME*CPU*MEM*PIDS* ]]
    assert_contains "$output" "$name"
    berth rm -f -t 0 "$name"
}

@test "top on a terminal: graphs, sorting, filter, logs, exec and stop by keys" {
    berth run -d --name aa --network none "$IMAGE" sh -c 'echo said-by-aa; while :; do :; done'
    berth run -d --name bb --network none "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
    run timeout 100 python3 - "$ENGINE" 3>&- <<'X'
import os, pty, re, select, sys, time, fcntl, termios, struct
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], ["berth", "top"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 140, 0, 0))
seen = ""
def read(seconds):
    global seen
    end = time.time() + seconds
    while time.time() < end:
        r, _, _ = select.select([fd], [], [], 0.1)
        if r:
            try:
                data = os.read(fd, 65536)
            except OSError:
                return False
            seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][0-9A-B]|\x1b[=>]", " ", data.decode("utf-8", "replace"))
    return True
def expect(what, seconds=20):
    end = time.time() + seconds
    while not re.search(what, seen):
        if time.time() > end or not read(0.2):
            sys.exit("no %r in: %s" % (what, seen[-3000:]))
def press(keys):
    global seen
    seen = ""
    os.write(fd, keys.encode())
expect(r"2 of 2 containers \(running\), by cpu")
expect(r"aa\s+running")
expect("[▁▂▃▄▅▆▇█]")
press("s"); expect("memory")
press("s"); expect("network")
press("s"); expect("name")
press("/bb\r"); expect("filter: bb")
press("\x1b"); read(1)
press("l"); expect("Log of aa"); expect("said-by-aa")
press("q"); expect("CPU %")
press("e"); expect("A shell in aa")
time.sleep(1)
press("echo in-$((40+2))-shell\r"); expect("in-42-shell")
press("exit\r"); expect("CPU %")
press("/bb\r"); expect("filter: bb")
press("x"); expect(r"Stop bb\? \[y/N\]")
press("y"); expect("stopped bb", 30)
press("q")
read(5)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
X
    echo "$output"
    [[ $status -eq 0 ]]
    berth inspect --format '{{.State.Status}}' bb
    assert_equal "$output" exited
    berth rm -f -t 0 aa bb
}
