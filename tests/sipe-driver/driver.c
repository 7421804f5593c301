/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pidgin-sipe without a user interface: commands in, events out, one a line. See README.md.
 *
 * Events begin with a word and have tab-separated fields; line breaks and tabs inside a field are
 * written as \n and \t, a backslash as \\.
 */
#include <glib.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "purple.h"

#define UI_ID "lanyard-sipe-driver"
#define PLUGIN_DIR "/usr/lib/purple-2"

static GMainLoop *loop;
static PurpleAccount *account;
/* Whether a connection that was lost is made again, as Pidgin and Finch do. */
static gboolean persistent;

/* ---- events ---- */

static void field(const char *text)
{
	putchar('\t');
	for (; text && *text; text++) {
		if (*text == '\n')
			fputs("\\n", stdout);
		else if (*text == '\t')
			fputs("\\t", stdout);
		else if (*text == '\\')
			fputs("\\\\", stdout);
		else if (*text != '\r')
			putchar(*text);
	}
}

/* Writes an event; the fields end with NULL. */
static void event(const char *name, ...)
{
	va_list fields;
	const char *text;

	fputs(name, stdout);
	va_start(fields, name);
	while ((text = va_arg(fields, const char *)) != NULL)
		field(text);
	va_end(fields);
	putchar('\n');
	fflush(stdout);
}

static const char *shown(const char *text)
{
	return text ? text : "";
}

/* ---- the main loop of GLib under libpurple ---- */

struct watch {
	PurpleInputFunction function;
	gpointer data;
};

static gboolean on_io(GIOChannel *channel, GIOCondition condition, gpointer data)
{
	struct watch *watch = data;
	PurpleInputCondition seen = 0;

	if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
		seen |= PURPLE_INPUT_READ;
	if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL))
		seen |= PURPLE_INPUT_WRITE;
	watch->function(watch->data, g_io_channel_unix_get_fd(channel), seen);
	return TRUE;
}

static guint input_add(gint fd, PurpleInputCondition wanted, PurpleInputFunction function, gpointer data)
{
	struct watch *watch = g_new0(struct watch, 1);
	GIOCondition condition = G_IO_HUP | G_IO_ERR | G_IO_NVAL;
	GIOChannel *channel = g_io_channel_unix_new(fd);
	guint id;

	watch->function = function;
	watch->data = data;
	if (wanted & PURPLE_INPUT_READ)
		condition |= G_IO_IN;
	if (wanted & PURPLE_INPUT_WRITE)
		condition |= G_IO_OUT;
	id = g_io_add_watch_full(channel, G_PRIORITY_DEFAULT, condition, on_io, watch, g_free);
	g_io_channel_unref(channel);
	return id;
}

static PurpleEventLoopUiOps loop_ops = {
	.timeout_add = g_timeout_add,
	.timeout_remove = g_source_remove,
	.input_add = input_add,
	.input_remove = g_source_remove,
	.timeout_add_seconds = g_timeout_add_seconds,
};

/* ---- what libpurple tells ---- */

static void signed_on(PurpleConnection *connection)
{
	event("signed-on", purple_account_get_username(connection->account), NULL);
}

static void signed_off(PurpleConnection *connection)
{
	event("signed-off", purple_account_get_username(connection->account), NULL);
}

static gboolean connect_again(gpointer data)
{
	if (purple_account_is_disconnected(account))
		purple_account_connect(account);
	return FALSE;
}

static void connection_error(PurpleConnection *connection, PurpleConnectionError error, const char *text)
{
	char number[16];
	gboolean fatal = purple_connection_error_is_fatal(error);

	g_snprintf(number, sizeof number, "%d", (int)error);
	event("connection-error", number, shown(text), fatal ? "for good" : "for now", NULL);
	if (persistent && !fatal)
		g_timeout_add_seconds(2, connect_again, NULL);
}

static void received_im(PurpleAccount *to, char *from, char *text, PurpleConversation *conversation,
			PurpleMessageFlags flags)
{
	event("im", from, shown(text), NULL);
}

static void received_chat(PurpleAccount *to, char *from, char *text, PurpleConversation *chat, PurpleMessageFlags flags)
{
	event("chat", from, shown(text), NULL);
}

static void chat_joined(PurpleConversation *chat)
{
	event("chat-joined", shown(purple_conversation_get_title(chat)), NULL);
}

static void chat_left(PurpleConversation *chat)
{
	event("chat-left", shown(purple_conversation_get_title(chat)), NULL);
}

static void chat_member(PurpleConversation *chat, const char *who, PurpleConvChatBuddyFlags flags, gboolean fresh)
{
	event("chat-member", who, NULL);
}

static void chat_member_left(PurpleConversation *chat, const char *who, const char *reason)
{
	event("chat-member-left", who, NULL);
}

static void typing(PurpleAccount *to, const char *who)
{
	event("typing", who, NULL);
}

static void typing_stopped(PurpleAccount *to, const char *who)
{
	event("typing-stopped", who, NULL);
}

static void buddy_status(PurpleBuddy *buddy, PurpleStatus *old, PurpleStatus *now)
{
	event("buddy-status", buddy->name, purple_status_get_id(now), NULL);
}

static void buddy_on(PurpleBuddy *buddy)
{
	event("buddy-on", buddy->name, NULL);
}

static void buddy_off(PurpleBuddy *buddy)
{
	event("buddy-off", buddy->name, NULL);
}

static void buddy_icon(PurpleBuddy *buddy)
{
	PurpleBuddyIcon *icon = purple_buddy_get_icon(buddy);
	size_t size = 0;
	const guchar *data = icon ? purple_buddy_icon_get_data(icon, &size) : NULL;
	gchar *digest = data ? g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size) : g_strdup("");

	event("buddy-icon", buddy->name, digest, icon ? shown(purple_buddy_icon_get_checksum(icon)) : "", NULL);
	g_free(digest);
}

static void buddy_added(PurpleBuddy *buddy)
{
	event("buddy-added", buddy->name, NULL);
}

static void buddy_removed(PurpleBuddy *buddy)
{
	event("buddy-removed", buddy->name, NULL);
}

static void write_conversation(PurpleConversation *conversation, const char *name, const char *alias,
			       const char *text, PurpleMessageFlags flags, time_t when)
{
	if (flags & PURPLE_MESSAGE_ERROR)
		event("conversation-error", conversation->name, shown(text), NULL);
	else if (flags & PURPLE_MESSAGE_SYSTEM)
		event("conversation-note", conversation->name, shown(text), NULL);
}

static PurpleConversationUiOps conversation_ops = { .write_conv = write_conversation };

static void *notify_message(PurpleNotifyMsgType type, const char *title, const char *first, const char *second)
{
	event("notify", shown(title), shown(first), shown(second), NULL);
	return NULL;
}

/* What a search of the directory found: one event a row, then the end with the words above the list. */
static void *notify_searchresults(PurpleConnection *connection, const char *title, const char *first,
				  const char *second, PurpleNotifySearchResults *results, gpointer data)
{
	GList *row;

	for (row = results->rows; row; row = row->next) {
		GList *cell;

		fputs("found", stdout);
		for (cell = row->data; cell; cell = cell->next)
			field(shown(cell->data));
		putchar('\n');
	}
	event("found-end", shown(second), NULL);
	return NULL;
}

/* What the client knows of a person: one event for each line that has a label. */
static void *notify_userinfo(PurpleConnection *connection, const char *who, PurpleNotifyUserInfo *info)
{
	GList *each;

	for (each = purple_notify_user_info_get_entries(info); each; each = each->next) {
		PurpleNotifyUserInfoEntry *entry = each->data;
		const gchar *label = purple_notify_user_info_entry_get_label(entry);

		if (label)
			event("info", who, label, shown(purple_notify_user_info_entry_get_value(entry)), NULL);
	}
	event("info-end", who, NULL);
	return NULL;
}

static PurpleNotifyUiOps notify_ops = {
	.notify_message = notify_message,
	.notify_searchresults = notify_searchresults,
	.notify_userinfo = notify_userinfo,
};

static void *request_action(const char *title, const char *first, const char *second, int preset,
			    PurpleAccount *of, const char *who, PurpleConversation *conversation,
			    void *data, size_t count, va_list actions)
{
	event("request", shown(first), shown(second), NULL);
	return NULL;
}

/* The form of a search that is being filled in: the field and what to write into it. */
static const char *form_field, *form_value;

static void *request_fields(const char *title, const char *first, const char *second,
			    PurpleRequestFields *fields, const char *ok_text, GCallback ok,
			    const char *cancel_text, GCallback cancel, PurpleAccount *of,
			    const char *who, PurpleConversation *conversation, void *data)
{
	if (form_field && purple_request_fields_exists(fields, form_field)) {
		purple_request_field_string_set_value(
			purple_request_fields_get_field(fields, form_field), form_value);
		((PurpleRequestFieldsCb)ok)(data, fields);
	}
	return NULL;
}

static PurpleRequestUiOps request_ops = {
	.request_action = request_action,
	.request_fields = request_fields,
};

static void asked_to_add(PurpleAccount *to, const char *who, const char *id, const char *alias, const char *text)
{
	event("asked-to-add", who, shown(alias), NULL);
}

static PurpleAccountUiOps account_ops = { .request_add = asked_to_add };

static void debug_print(PurpleDebugLevel level, const char *category, const char *text)
{
	fprintf(stderr, "%s: %s", category ? category : "-", text);
}

static gboolean debug_enabled(PurpleDebugLevel level, const char *category)
{
	return TRUE;
}

static PurpleDebugUiOps debug_ops = { .print = debug_print, .is_enabled = debug_enabled };

/* ---- commands ---- */

static PurpleGroup *group_of(const char *name)
{
	PurpleGroup *group = purple_find_group(name);

	if (!group) {
		group = purple_group_new(name);
		purple_blist_add_group(group, NULL);
	}
	return group;
}

static void command_im(const char *who, const char *text)
{
	PurpleConversation *conversation =
		purple_find_conversation_with_account(PURPLE_CONV_TYPE_IM, who, account);

	if (!conversation)
		conversation = purple_conversation_new(PURPLE_CONV_TYPE_IM, account, who);
	purple_conv_im_send(PURPLE_CONV_IM(conversation), text);
}

static void command_close(const char *who)
{
	PurpleConversation *conversation =
		purple_find_conversation_with_account(PURPLE_CONV_TYPE_IM, who, account);

	if (conversation)
		purple_conversation_destroy(conversation);
}

/* The conversation of several people that is open; tests have one at a time. */
static PurpleConversation *open_chat(void)
{
	GList *chats = purple_get_chats();

	return chats ? chats->data : NULL;
}

static void command_chat(const char *text)
{
	PurpleConversation *chat = open_chat();

	if (chat)
		purple_conv_chat_send(PURPLE_CONV_CHAT(chat), text);
	else
		event("no-chat", NULL);
}

static void command_chat_leave(void)
{
	PurpleConversation *chat = open_chat();

	if (chat)
		purple_conversation_destroy(chat);
	else
		event("no-chat", NULL);
}

static void command_move(const char *who, const char *group)
{
	PurpleBuddy *buddy = purple_find_buddy(account, who);

	if (buddy)
		purple_blist_add_buddy(buddy, NULL, group_of(group), NULL);
}

static void command_add(const char *who, const char *group)
{
	PurpleBuddy *buddy = purple_buddy_new(account, who, NULL);

	purple_blist_add_buddy(buddy, NULL, group_of(group), NULL);
	purple_account_add_buddy(account, buddy);
}

static void command_remove(const char *who)
{
	PurpleBuddy *buddy = purple_find_buddy(account, who);

	if (buddy) {
		purple_account_remove_buddy(account, buddy, purple_buddy_get_group(buddy));
		purple_blist_remove_buddy(buddy);
	}
}

static void command_alias(const char *who, const char *name)
{
	PurpleBuddy *buddy = purple_find_buddy(account, who);

	if (buddy) {
		purple_blist_alias_buddy(buddy, name);
		serv_alias_buddy(buddy);
	}
}

static void command_rename_group(const char *old, const char *name)
{
	PurpleGroup *group = purple_find_group(old);

	if (group)
		purple_blist_rename_group(group, name);
}

static void command_remove_group(const char *name)
{
	PurpleGroup *group = purple_find_group(name);

	if (group) {
		purple_account_remove_group(account, group);
		purple_blist_remove_group(group);
	}
}

/*
 * Presses an entry of the menu that SIPE gives a buddy, such as an access level. What stands in a menu
 * itself comes before what stands in the menus below it, which are about more than this buddy.
 */
static gboolean press(GList *menu, PurpleBlistNode *node, const char *label)
{
	GList *each;

	for (each = menu; each; each = each->next) {
		PurpleMenuAction *action = each->data;

		if (action && action->label && strstr(action->label, label) && action->callback) {
			((void (*)(PurpleBlistNode *, gpointer))action->callback)(node, action->data);
			return TRUE;
		}
	}
	for (each = menu; each; each = each->next) {
		PurpleMenuAction *action = each->data;

		if (action && press(action->children, node, label))
			return TRUE;
	}
	return FALSE;
}

static void list_menu(GList *menu)
{
	for (; menu; menu = menu->next) {
		PurpleMenuAction *action = menu->data;

		if (action) {
			event("menu", shown(action->label), action->callback ? "yes" : "no", NULL);
			list_menu(action->children);
		}
	}
}

static void command_menu(const char *who, const char *label)
{
	PurpleBuddy *buddy = purple_find_buddy(account, who);
	PurplePlugin *plugin = purple_find_prpl("prpl-sipe");
	PurplePluginProtocolInfo *info = plugin ? PURPLE_PLUGIN_PROTOCOL_INFO(plugin) : NULL;
	GList *menu;

	if (!buddy || !info || !info->blist_node_menu)
		return;
	menu = info->blist_node_menu((PurpleBlistNode *)buddy);
	if (!label)
		list_menu(menu);
	else
		event("pressed", label, press(menu, (PurpleBlistNode *)buddy, label) ? "yes" : "no", NULL);
}

/* Presses "Contact search..." and fills in one field of its form: given, surname, email, sipid, company, country. */
static void command_search(const char *name, const char *value)
{
	PurpleConnection *connection = purple_account_get_connection(account);
	PurplePlugin *plugin = purple_find_prpl("prpl-sipe");
	GList *actions, *each;

	if (!connection || !plugin || !PURPLE_PLUGIN_HAS_ACTIONS(plugin))
		return;
	form_field = name;
	form_value = value;
	actions = PURPLE_PLUGIN_ACTIONS(plugin, connection);
	for (each = actions; each; each = each->next) {
		PurplePluginAction *action = each->data;

		if (!action)
			continue;
		action->plugin = plugin;
		action->context = connection;
		if (action->label && strstr(action->label, "search") && action->callback)
			action->callback(action);
		purple_plugin_action_free(action);
	}
	g_list_free(actions);
	form_field = form_value = NULL;
}

static void command_buddies(void)
{
	GSList *buddies = purple_find_buddies(account, NULL);
	GSList *each;

	for (each = buddies; each; each = each->next) {
		PurpleBuddy *buddy = each->data;
		PurpleStatus *status = purple_presence_get_active_status(purple_buddy_get_presence(buddy));

		event("buddy", buddy->name, purple_group_get_name(purple_buddy_get_group(buddy)),
		      purple_status_get_id(status), PURPLE_BUDDY_IS_ONLINE(buddy) ? "online" : "offline",
		      purple_buddy_get_alias(buddy), shown(purple_buddy_get_server_alias(buddy)), NULL);
	}
	g_slist_free(buddies);
	event("buddies-end", NULL);
}

/* What libpurple's own watch over the keyboard does when nobody has touched it for a while. */
static void command_idle(gboolean idle, time_t since)
{
	purple_presence_set_idle(purple_account_get_presence(account), idle, since);
	purple_savedstatus_set_idleaway(idle);
}

static void obey(char **words)
{
	const char *verb = words[0];
	const char *two = verb && words[1] ? words[2] : NULL;
	const char *one;
	PurpleConnection *connection = purple_account_get_connection(account);

	if (!verb)
		return;
	/* SIPE names people by their URI. */
	if (words[1] && strchr(words[1], '@')) {
		gchar *uri = g_strdup_printf("sip:%s", words[1]);

		g_free(words[1]);
		words[1] = uri;
	}
	one = words[1];
	if (!strcmp(verb, "im") && two)
		command_im(one, two);
	else if (!strcmp(verb, "close") && one)
		command_close(one);
	else if (!strcmp(verb, "typing") && one && connection)
		serv_send_typing(connection, one, PURPLE_TYPING);
	else if (!strcmp(verb, "status") && one && two)
		purple_account_set_status(account, one, TRUE, "message", two, NULL);
	else if (!strcmp(verb, "status") && one)
		purple_account_set_status(account, one, TRUE, NULL);
	else if (!strcmp(verb, "idle") && one)
		command_idle(TRUE, time(NULL) - atoi(one));
	else if (!strcmp(verb, "awake"))
		command_idle(FALSE, 0);
	else if (!strcmp(verb, "persist"))
		persistent = TRUE;
	else if (!strcmp(verb, "add") && two)
		command_add(one, two);
	else if (!strcmp(verb, "move") && two)
		command_move(one, two);
	else if (!strcmp(verb, "chat") && two)
		command_chat(two);
	else if (!strcmp(verb, "chat-leave"))
		command_chat_leave();
	else if (!strcmp(verb, "remove") && one)
		command_remove(one);
	else if (!strcmp(verb, "alias") && two)
		command_alias(one, two);
	else if (!strcmp(verb, "rename-group") && two)
		command_rename_group(one, two);
	else if (!strcmp(verb, "remove-group") && one)
		command_remove_group(one);
	else if (!strcmp(verb, "block") && one)
		purple_privacy_deny_add(account, one, FALSE);
	else if (!strcmp(verb, "unblock") && one)
		purple_privacy_deny_remove(account, one, FALSE);
	else if (!strcmp(verb, "menu") && one)
		command_menu(one, two);
	else if (!strcmp(verb, "search") && two)
		command_search(one, two);
	else if (!strcmp(verb, "info") && one && connection)
		serv_get_info(connection, one);
	else if (!strcmp(verb, "buddies"))
		command_buddies();
	else if (!strcmp(verb, "off"))
		purple_account_set_enabled(account, UI_ID, FALSE);
	else if (!strcmp(verb, "quit"))
		g_main_loop_quit(loop);
	else
		event("unknown-command", verb, NULL);
}

static gboolean on_command(GIOChannel *channel, GIOCondition condition, gpointer data)
{
	gchar *line = NULL;
	char **words;

	if (g_io_channel_read_line(channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
		g_main_loop_quit(loop);
		return FALSE;
	}
	g_strchomp(line);
	words = g_strsplit(line, " ", 3);
	obey(words);
	g_strfreev(words);
	g_free(line);
	return TRUE;
}

/* ---- set-up ---- */

static void connect_signals(void)
{
	static int handle;
	void *connections = purple_connections_get_handle();
	void *conversations = purple_conversations_get_handle();
	void *buddies = purple_blist_get_handle();
	const struct {
		void *of;
		const char *name;
		PurpleCallback callback;
	} signals[] = {
		{ connections, "signed-on", PURPLE_CALLBACK(signed_on) },
		{ connections, "signed-off", PURPLE_CALLBACK(signed_off) },
		{ connections, "connection-error", PURPLE_CALLBACK(connection_error) },
		{ conversations, "received-im-msg", PURPLE_CALLBACK(received_im) },
		{ conversations, "received-chat-msg", PURPLE_CALLBACK(received_chat) },
		{ conversations, "chat-joined", PURPLE_CALLBACK(chat_joined) },
		{ conversations, "chat-left", PURPLE_CALLBACK(chat_left) },
		{ conversations, "chat-buddy-joined", PURPLE_CALLBACK(chat_member) },
		{ conversations, "chat-buddy-left", PURPLE_CALLBACK(chat_member_left) },
		{ conversations, "buddy-typing", PURPLE_CALLBACK(typing) },
		{ conversations, "buddy-typing-stopped", PURPLE_CALLBACK(typing_stopped) },
		{ buddies, "buddy-status-changed", PURPLE_CALLBACK(buddy_status) },
		{ buddies, "buddy-signed-on", PURPLE_CALLBACK(buddy_on) },
		{ buddies, "buddy-signed-off", PURPLE_CALLBACK(buddy_off) },
		{ buddies, "buddy-icon-changed", PURPLE_CALLBACK(buddy_icon) },
		{ buddies, "buddy-added", PURPLE_CALLBACK(buddy_added) },
		{ buddies, "buddy-removed", PURPLE_CALLBACK(buddy_removed) },
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(signals); i++)
		purple_signal_connect(signals[i].of, signals[i].name, &handle, signals[i].callback, NULL);
}

static void set_option(const char *option)
{
	gchar **pair = g_strsplit(option, "=", 2);

	if (pair[0] && pair[1]) {
		if (!strcmp(pair[1], "true") || !strcmp(pair[1], "false"))
			purple_account_set_bool(account, pair[0], !strcmp(pair[1], "true"));
		else
			purple_account_set_string(account, pair[0], pair[1]);
	}
	g_strfreev(pair);
}

static int start(const char *home, const char *ca_dir)
{
	purple_util_set_user_dir(home);
	purple_debug_set_enabled(FALSE);
	if (getenv("SIPE_DRIVER_DEBUG")) {
		/* Prints keys and passwords: throw-away accounts only. */
		purple_debug_set_verbose(TRUE);
		purple_debug_set_unsafe(TRUE);
		purple_debug_set_ui_ops(&debug_ops);
	}
	purple_eventloop_set_ui_ops(&loop_ops);
	purple_conversations_set_ui_ops(&conversation_ops);
	purple_notify_set_ui_ops(&notify_ops);
	purple_request_set_ui_ops(&request_ops);
	purple_accounts_set_ui_ops(&account_ops);
	purple_plugins_add_search_path(PLUGIN_DIR);
	/* Chain and name of the server are verified, against this authority alone. */
	purple_certificate_add_ca_search_path(ca_dir);
	if (!purple_core_init(UI_ID))
		return 0;
	purple_set_blist(purple_blist_new());
	purple_prefs_load();
	return purple_find_prpl("prpl-sipe") != NULL;
}

int main(int argc, char **argv)
{
	gchar *password = NULL;
	GIOChannel *commands;
	PurpleSavedStatus *status;
	int i;

	if (argc < 5) {
		fprintf(stderr, "usage: sipe-driver HOME CA-DIR ADDRESS AUTHENTICATION [key=value ...]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (!start(argv[1], argv[2])) {
		fprintf(stderr, "libpurple or its SIPE plug-in does not start\n");
		return 1;
	}
	connect_signals();
	commands = g_io_channel_unix_new(0);
	if (g_io_channel_read_line(commands, &password, NULL, NULL, NULL) != G_IO_STATUS_NORMAL)
		return 2;
	g_strchomp(password);
	account = purple_account_new(argv[3], "prpl-sipe");
	purple_account_set_password(account, password);
	g_free(password);
	purple_account_set_string(account, "authentication", argv[4]);
	/* Otherwise SIPE looks for an Exchange server after a minute. */
	purple_account_set_bool(account, "dont-publish", TRUE);
	for (i = 5; i < argc; i++)
		set_option(argv[i]);
	purple_accounts_add(account);
	status = purple_savedstatus_new(NULL, PURPLE_STATUS_AVAILABLE);
	purple_savedstatus_activate(status);
	purple_account_set_enabled(account, UI_ID, TRUE);
	g_io_add_watch(commands, G_IO_IN | G_IO_HUP, on_command, NULL);
	loop = g_main_loop_new(NULL, FALSE);
	g_main_loop_run(loop);
	purple_core_quit();
	return 0;
}
