// SPDX-License-Identifier: Apache-2.0

// Package solve chooses one version of each part that a source needs, or says why there is none.
// It is pure: what is published comes through a [Source], nothing is printed or written.
//
// Words: a part is a named recipe with versions; a use is a line of the source that asks
// for a part within a range, in one stage; a requirement is the same wish, written in a part; a capability is a
// name that several parts can provide; a stage is an image in the making, and parts meet only in a stage.
//
// The method is PubGrub over finite domains. The published versions of a part are a
// known list, so what may still be chosen is a bit set over that list, with one more bit
// for "not at all". A term says that a variable's choice is within a set; an incompatibility
// is a list of terms that cannot all hold. Unit propagation narrows the sets; a conflict is resolved into a
// new incompatibility that is kept and sends the search back to where it bites; an empty incompatibility proves
// that there is no answer, and the facts it was derived from are the explanation.
package solve
