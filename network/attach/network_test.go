// SPDX-License-Identifier: Apache-2.0

package attach

import "testing"

func TestDisconnectHandsPortsOn(t *testing.T) {
	ports := []PortMapping{{ContainerPort: 80, HostPort: 8080, Protocol: "tcp"}}
	a, b := &CNI{Ports: ports}, &CNI{}
	whole := Network{Mode: "bridge", Attachments: []Attachment{{Network: "a", CNI: a}, {Network: "b", CNI: b}}}
	for name, test := range map[string]struct {
		leave, left string
		heir        bool
	}{
		"the one with ports":    {"a", "b", true},
		"the one without":       {"b", "a", false},
		"one that is not there": {"c", "a,b", false},
	} {
		n := whole
		heir := n.Disconnect(test.leave)
		if n.Names() != test.left || (heir != nil) != test.heir {
			t.Errorf("%s: left %s, heir %v", name, n.Names(), heir)
		}
		if heir != nil && len(heir.CNI.Ports) != 1 {
			t.Errorf("%s: the heir has ports %v", name, heir.CNI.Ports)
		}
		if len(a.Ports) != 1 || len(b.Ports) != 0 || whole.Names() != "a,b" {
			t.Fatalf("%s: what was there is changed", name)
		}
	}
	n := whole
	n.Disconnect("a")
	if n.Disconnect("b") != nil || n.Names() != "bridge" {
		t.Errorf("without networks: %s", n.Names())
	}
}
