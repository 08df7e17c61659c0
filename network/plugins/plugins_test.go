// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/network/attach"
)

// TestPluginsThatFail has a plugin of every bad kind behind one that is good: Add says what is wrong, within its time, and has had the good one undo its work.
func TestPluginsThatFail(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"fails with a reason", `echo '{"cniVersion":"1.0.0","code":100,"msg":"no cable","details":"none at all"}'; exit 1`, "no cable; none at all"},
		{"fails without a word", `exit 1`, "netplugin failed"},
		{"says garbage", `echo 'I am fine'`, "invalid character"},
		{"says nothing", `:`, "unexpected end of JSON input"},
		{"wants iptables", `echo '{"cniVersion":"1.0.0","code":999,"msg":"exec: \"iptables\": executable file not found in $PATH"}'; exit 1`, "sudo apt-get install iptables"},
		{"says another version", `echo '{"cniVersion":"9.9.9"}'`, "9.9.9"},
		{"hangs", `exec sleep 100`, "bad"},
		{"is not there", ``, `failed to find plugin "bad"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(name, script string) {
				script = "#!/bin/sh\necho \"$CNI_COMMAND\" >>" + filepath.Join(dir, name+".log") + "\ncat >/dev/null\n" + script + "\n"
				if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write("good", `[ "$CNI_COMMAND" = DEL ] || echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.2/24"}]}'`)
			if c.script != "" {
				write("bad", `[ "$CNI_COMMAND" = DEL ] && exit 0; `+c.script)
			}
			req := &attach.Request{Network: "n", NetNS: "/proc/self/ns/net", CNI: &attach.CNI{
				List:       json.RawMessage(`{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"good"},{"type":"bad"}]}`),
				PluginDirs: []string{dir}, StateDir: dir, Container: "c", Interface: "eth0",
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			begun := time.Now()
			_, err := Add(ctx, req)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Add: %v, want %q", err, c.want)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			log, err := os.ReadFile(filepath.Join(dir, "good.log"))
			if want := "ADD\nDEL\n"; string(log) != want {
				t.Errorf("the good plugin was called for %q, %v, want %q", log, err, want)
			}
		})
	}
}
