// SPDX-License-Identifier: Apache-2.0

// Package registry is where parts come from and go to: folders, OCI registries, git repositories and archives
// behind https. [Library] is the real partial.Library; it also publishes parts, and the record of a
// build next to its image.
//
// Words: a location is a reference with its alias replaced; the store is the OCI layout of parts that were fetched, which is
// all there is when offline; a record is what composition leaves of a build (composed file,
// lock, source), attached to the image as a referrer (OCI 1.1).
//
// What arrives is not trusted: sizes are bounded before memory is used, digests are compared before content is read,
// archives may hold nothing but small files at plain paths, and a registry is spoken to over http only where
// registries.conf says that it is insecure.
package registry
