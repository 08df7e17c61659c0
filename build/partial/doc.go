// SPDX-License-Identifier: Apache-2.0

// Package partial composes Containerfiles from parts. It is a pure function from texts to a
// text: what it must know of images, parts and the disk comes in through two small
// interfaces, Bases and Library.
//
// The words (docs/partials-format.md is the reference of the format):
//
//	part       partial container file: a folder with a Containerfile that carries metadata in
//	           a fenced comment. It can be built alone by any builder.
//	source     what the user writes: a Containerfile with lines that begin with "#:", or a
//	           requirement file (partials.yaml)
//	directive  one "#:" line of a source
//	block      the text of one part inside a composed file, between two marker comments
//	carrier    a stage that holds a part's files/ as heredocs
//	helper     a private stage of a part; it comes before the stage that uses the part
//	composed   the plain Containerfile that the maker (Compose) writes
//	lock       what a composition was made of, so that it can be made again: versions,
//	           digests, and the facts of base images
package partial
