/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Retags SAX1 handlers that claim to be SAX2, so that libxml2 2.9.14 of Debian 12 calls them.
 * See README.md.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libxml/parser.h>

int xmlSAXUserParseMemory(xmlSAXHandlerPtr sax, void *user_data, const char *buffer, int size)
{
	static int (*real)(xmlSAXHandlerPtr, void *, const char *, int);
	xmlSAXHandler retagged;

	if (!real)
		real = dlsym(RTLD_NEXT, "xmlSAXUserParseMemory");
	if (sax && sax->initialized == XML_SAX2_MAGIC && sax->startElement && !sax->startElementNs) {
		retagged = *sax;
		retagged.initialized = 1;
		sax = &retagged;
	}
	return real(sax, user_data, buffer, size);
}
