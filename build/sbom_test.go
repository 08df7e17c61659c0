// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/buildah/define"
)

func TestBillsAreMerged(t *testing.T) {
	const cyclone, spdx = define.SBOMMergeStrategyCycloneDXByComponentNameAndVersion, define.SBOMMergeStrategySPDXByPackageNameAndVersionInfo
	for _, c := range []struct {
		strategy    define.SBOMMergeStrategy
		docs        []string
		want, purls string // with fail, want is a part of the error
		fail        bool
	}{
		{strategy: define.SBOMMergeStrategyCat, docs: []string{"a\n", "b"}, want: "a\nb", purls: "{}"},
		{strategy: cyclone, docs: []string{`{"n":1.50,"components":[{"name":"a","version":"1","purl":"p:b"},{"name":"a","version":"1"}]}`, `{"n":2,"components":[{"name":"a","version":"2","purl":"p:a"},{"name":"a","version":"1"}]}`},
			want: `{"components":[{"name":"a","purl":"p:b","version":"1"},{"name":"a","purl":"p:a","version":"2"}],"n":1.50}`, purls: `{"dependencies":["p:a","p:b"]}`},
		{strategy: cyclone, docs: []string{`{"x":1}`, `{"components":[{"name":"a"}]}`}, want: `{"components":[{"name":"a"}],"x":1}`, purls: "{}"},
		{strategy: spdx, docs: []string{`{"packages":[{"name":"a"}],"hasExtractedLicensingInfos":[{"licenseId":"L1"}]}`,
			`{"packages":[{"name":"b","externalRefs":[{"referenceCategory":"SECURITY","referenceType":"purl","referenceLocator":"no"},{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"p:b"}]}],"hasExtractedLicensingInfos":[{"licenseId":"L1"},{"licenseId":"L2"}]}`},
			want: `{"hasExtractedLicensingInfos":[{"licenseId":"L1"},{"licenseId":"L2"}],"packages":[{"name":"a"},{"externalRefs":[{"referenceCategory":"SECURITY","referenceLocator":"no","referenceType":"purl"},{"referenceCategory":"PACKAGE-MANAGER","referenceLocator":"p:b","referenceType":"purl"}],"name":"b"}]}`, purls: `{"dependencies":["p:b"]}`},
		{strategy: cyclone, docs: []string{"no JSON"}, want: "not a JSON object", fail: true},
		{strategy: cyclone, docs: []string{`{"components":["x"]}`}, want: `an entry of "components" is not an object`, fail: true},
		{strategy: cyclone, docs: []string{`{"components":[{"version":"1"}]}`}, want: `it has no "name"`, fail: true},
		{strategy: "other", docs: []string{`{}`}, want: `"other" is not known`, fail: true},
	} {
		var m merger
		var err error
		for _, d := range c.docs {
			if err == nil {
				err = m.add(c.strategy, []byte(d))
			}
		}
		if c.fail {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %q", c.docs, err, c.want)
			}
			continue
		}
		dir := t.TempDir()
		bill, purls := filepath.Join(dir, "bill"), filepath.Join(dir, "purls")
		for _, err := range []error{err, m.write(bill), m.writePURLs(purls)} {
			if err != nil {
				t.Fatalf("%q: %v", c.docs, err)
			}
		}
		got, _ := os.ReadFile(bill)
		if strings.TrimSpace(string(got)) != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.docs, got, c.want)
		}
		var doc struct {
			Contents json.RawMessage `json:"image_contents"`
		}
		text, _ := os.ReadFile(purls)
		if err := json.Unmarshal(text, &doc); err != nil || string(doc.Contents) != c.purls {
			t.Errorf("%q: package URLs %s (%v), want %s", c.docs, text, err, c.purls)
		}
	}
}

func TestCommandsOfAScanner(t *testing.T) {
	h := &scanned{scan: define.SBOMScanOptions{ContextDir: []string{"/a", "/b"}, Commands: []string{
		"/syft scan -q dir:{ROOTFS} --output 'x y={OUTPUT}'", "scan {CONTEXT} {OUTPUT}", "cat {ROOTFS}/x > {OUTPUT}", "neither {OUTPUT}",
	}}}
	want := `["/syft" "scan" "-q" "dir:/.rootfs" "--output" "x y=/.scans/scan0.json"]
["scan" "/.context0" "/.scans/scan1.json"]
["scan" "/.context1" "/.scans/scan2.json"]
["/bin/sh" "-c" "cat /.rootfs/x > /.scans/scan3.json"]
`
	var got strings.Builder
	for _, args := range h.commands() {
		fmt.Fprintf(&got, "%q\n", args)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
