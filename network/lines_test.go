// SPDX-License-Identifier: Apache-2.0

package network

import (
	"strings"
	"testing"
)

// What a user or an image can name must not add a line, or a second name, to the container's files.
func TestNamesAddNoLinesToHostsAndResolvConf(t *testing.T) {
	for _, v := range []string{"a\n6.6.6.6\tevil", "a\revil", "a\x0bevil", "a\x0cevil", "a\x00", "a evil", "a\tevil", "a#", "a\u0085evil", "a\u2028evil", "a\xff"} {
		if ParseAddHosts([]string{v + ":192.0.2.7"}) == nil {
			t.Errorf("--add-host %q accepted", v)
		}
		if CheckDNS(nil, []string{v}, nil) == nil || CheckDNS(nil, nil, []string{v}) == nil || CheckDNS([]string{v}, nil, nil) == nil {
			t.Errorf("--dns, --dns-search or --dns-option %q accepted", v)
		}
		text := hostsFile{base: "192.0.2.1 good\x01name fine\n", names: []string{v, "web"}, ips: []string{"10.0.2.100"}}.text()
		if !strings.HasSuffix(text, "10.0.2.100\tweb\n192.0.2.1\tfine\n") {
			t.Errorf("host name %q makes of /etc/hosts:\n%q", v, text)
		}
	}
}
