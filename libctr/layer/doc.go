// SPDX-License-Identifier: Apache-2.0

// Package layer knows to whom the layers of a store belong, and compares the store's directories with its records.
//
// A layer belongs to the images and containers that are made of it. While an image is pulled, loaded, built or removed there are
// layers that belong to nothing yet, or to nothing any more. Who makes or removes images does it through a Keeper, which writes
// down the IDs of such layers in a journal before they are touched; the journal is locked while its process lives. What is
// in the journal of a dead process and belongs to nothing may be removed (docs/decisions/0015).
package layer
