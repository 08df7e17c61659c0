// SPDX-License-Identifier: Apache-2.0

package leash

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain is also the keeper, and the command: "command WORD" starts children, says that they are there, and waits.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "--keep":
		Keep(os.Args[2], os.Stdin)
	case len(os.Args) == 3 && os.Args[1] == "command":
		command(os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

func command(word string) {
	if err := Start("/proc/self/exe"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	// A child with a child in another session, one whose own child has no environment, and one that is to live.
	for _, script := range []string{"setsid sleep 1000 & echo $!; exec sleep 1000", "env -i sleep 1000 & echo $!; exec sleep 1000"} {
		cmd := exec.Command("sh", "-c", script)
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			os.Exit(1)
		}
		fmt.Println(cmd.Process.Pid)
	}
	lives := exec.Command("sleep", "1000")
	lives.Env = Without(os.Environ())
	if err := lives.Start(); err != nil {
		os.Exit(1)
	}
	fmt.Println("lives", lives.Process.Pid)
	// The test says when it knows them all.
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	switch word {
	case "end":
		End()
	case "interrupt":
		Interrupt()
		End()
	}
}

// started runs the command and returns the processes that it has started, the one that is to live last.
func started(t *testing.T, word string) (cmd *exec.Cmd, goOn io.Closer, all []int) {
	t.Helper()
	cmd = exec.Command("/proc/self/exe", "command", word)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids, lives := []int{}, 0
	for lines := bufio.NewReader(out); len(pids) < 4 || lives == 0; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the command has started %d of 4: %v", len(pids), err)
		}
		word, isLast := strings.CutPrefix(strings.TrimSpace(line), "lives ")
		pid, err := strconv.Atoi(word)
		switch {
		case err != nil:
			t.Fatal(line)
		case isLast:
			lives = pid
		default:
			pids = append(pids, pid)
		}
		t.Cleanup(func() {
			if alive(pid) {
				p, _ := os.FindProcess(pid)
				_ = p.Kill()
			}
		})
	}
	return cmd, in, append(pids, lives)
}

// alive reports whether a process sleeps; it is one of the test's.
func alive(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.Contains(string(text), "sleep")
}

func gone(pids []int) bool { return soon(func() bool { return !slices.ContainsFunc(pids, alive) }) }

func soon(is func() bool) bool {
	for range 1000 {
		if is() {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func TestWhatAKilledCommandStartedDies(t *testing.T) {
	cmd, _, pids := started(t, "killed")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !gone(pids[:4]) {
		t.Error("children and their children live on")
	}
	if !alive(pids[4]) {
		t.Error("what is to outlive the command is gone")
	}
}

func TestWhatACommandLeavesGoesOn(t *testing.T) {
	cmd, goOn, pids := started(t, "end")
	goOn.Close()
	_ = cmd.Wait()
	time.Sleep(50 * time.Millisecond)
	for _, pid := range pids {
		if !soon(func() bool { return alive(pid) }) { // it may be about to execute its program
			t.Errorf("process %d of %v, a child of a command that has ended, is gone", pid, pids)
		}
	}
}

func TestInterrupt(t *testing.T) {
	cmd, goOn, pids := started(t, "interrupt")
	goOn.Close()
	_ = cmd.Wait()
	if !gone(pids[:4]) {
		t.Error("children live on")
	}
	if !alive(pids[4]) {
		t.Error("what is to outlive the command is gone")
	}
}

func TestParentsAreKilledFirst(t *testing.T) {
	all := map[int]*process{}
	var list []*process
	for pid, parent := range map[int]int{9: 1, 5: 9, 7: 5, 3: 7, 8: 9, 2: 8, 4: 2} { // a child may have a smaller number
		all[pid] = &process{pid: pid, parent: parent}
		list = append(list, all[pid])
	}
	parentsFirst(list, all)
	seen := map[int]bool{1: true}
	for _, p := range list {
		if !seen[p.parent] {
			t.Errorf("process %d comes before its parent %d", p.pid, p.parent)
		}
		seen[p.pid] = true
	}
}

func TestGiveUp(t *testing.T) {
	var called []string
	AtGiveUp(func() { called = append(called, "kept") })
	AtGiveUp(func() { called = append(called, "done") })()
	GiveUp()
	if len(called) != 1 || called[0] != "kept" {
		t.Errorf("GiveUp called %q; want what is not done", called)
	}
}

func TestKillTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "(sleep 1000 & echo $!; wait) & wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var grandchild int
	if _, err := fmt.Fscan(out, &grandchild); err != nil {
		t.Fatal(err)
	}
	KillTree(cmd.Process.Pid)
	_, _ = io.Copy(io.Discard, out) // ends when the last of them has died
	_ = cmd.Wait()
	if p := look(grandchild, ""); p != nil && p.argv0 == "sleep" {
		t.Errorf("process %d lives", grandchild)
	}
}
