// Package models tests model providers over the whole local stack: with the strict servers of shared/model/modeltest,
// and with aimock, an independent imitation of the providers' APIs. Run `npm ci` here before its tests.
package models
