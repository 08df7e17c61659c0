// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.podman.io/buildah/define"
)

// merger makes one bill of materials of several, as buildah-build(1) says of --sbom-merge-strategy: "cat" writes one after the
// other; the others take from the later ones what the first does not have, known by name and version.
type merger struct {
	text  []byte         // with cat
	doc   map[string]any // with the others
	purls []string
}

// add merges one more document.
func (m *merger) add(strategy define.SBOMMergeStrategy, text []byte) error {
	if strategy == define.SBOMMergeStrategyCat {
		m.text = append(m.text, text...)
		return nil
	}
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a number stays as it is written
	if err := d.Decode(&doc); err != nil {
		return fmt.Errorf("its result is not a JSON object: %w", err)
	}
	if m.doc == nil {
		m.doc = map[string]any{}
		for k, v := range doc {
			m.doc[k] = v
		}
	}
	var err error
	switch strategy {
	case define.SBOMMergeStrategyCycloneDXByComponentNameAndVersion:
		err = m.list(doc, "components", m.component)
	case define.SBOMMergeStrategySPDXByPackageNameAndVersionInfo:
		err = errors.Join(m.list(doc, "packages", m.spdxPackage), m.list(doc, "hasExtractedLicensingInfos", license))
	default:
		err = fmt.Errorf("merge strategy %q is not known", strategy)
	}
	return err
}

// list merges one list: what has a key that is there already is left out. Into itself it loses only what is there twice.
func (m *merger) list(doc map[string]any, field string, key func(map[string]any) (string, error)) error {
	have, _ := m.doc[field].([]any)
	more, _ := doc[field].([]any)
	var merged []any
	seen := map[string]bool{}
	for _, item := range slices.Concat(have, more) {
		record, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("an entry of %q is not an object", field)
		}
		k, err := key(record)
		if err != nil {
			return fmt.Errorf("an entry of %q: %w", field, err)
		}
		if !seen[k] {
			seen[k] = true
			merged = append(merged, item)
		}
	}
	if len(merged) > 0 {
		m.doc[field] = merged
	}
	return nil
}

func (m *merger) component(c map[string]any) (string, error) {
	m.purl(c["purl"])
	return nameAndVersion(c, "name", "version")
}

func (m *merger) spdxPackage(p map[string]any) (string, error) {
	refs, _ := p["externalRefs"].([]any)
	for _, r := range refs {
		if ref, ok := r.(map[string]any); ok && ref["referenceCategory"] == "PACKAGE-MANAGER" && ref["referenceType"] == "purl" {
			m.purl(ref["referenceLocator"])
		}
	}
	return nameAndVersion(p, "name", "versionInfo")
}

func license(l map[string]any) (string, error) { return nameAndVersion(l, "licenseId", "") }

func nameAndVersion(record map[string]any, name, version string) (string, error) {
	n, ok := record[name].(string)
	if !ok {
		return "", fmt.Errorf("it has no %q", name)
	}
	v, _ := record[version].(string)
	return n + "@" + v, nil
}

func (m *merger) purl(p any) {
	if text, ok := p.(string); ok && text != "" && !slices.Contains(m.purls, text) {
		m.purls = append(m.purls, text)
	}
}

func (m *merger) write(path string) error {
	text := m.text
	if m.doc != nil {
		var err error
		if text, err = json.Marshal(m.doc); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	return os.WriteFile(path, text, 0o600)
}

// writePURLs writes the package URLs, as other builders' tools read them.
func (m *merger) writePURLs(path string) error {
	var doc struct {
		Contents struct {
			Dependencies []string `json:"dependencies,omitempty"`
		} `json:"image_contents"`
	}
	slices.Sort(m.purls)
	doc.Contents.Dependencies = m.purls
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}
