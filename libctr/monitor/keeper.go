// SPDX-License-Identifier: Apache-2.0

package monitor

// warnings are what the networks cannot do for this container.
func (all endpoints) warnings() []string {
	var warnings []string
	for _, j := range all.joined() {
		warnings = append(warnings, j.Warnings...)
	}
	return warnings
}
