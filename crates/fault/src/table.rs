// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows. A number is never used again for something else.

use crate::Row;

macro_rules! faults {
    ($($name:ident = $number:literal, $sentence:literal, $next:literal;)*) => {
        /// A fault that a person may see. The documentation of each is its sentence.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = $sentence] $name,)*
        }

        /// All rows, by number.
        pub const ROWS: &[Row] = &[
            $(Row { fault: Fault::$name, number: $number, sentence: $sentence, next: $next },)*
        ];
    };
}

faults! {
    // 1000: address, discovery, DNS.
    AddressMalformed = 1001, "This is not a sign-in address.", "Type it as user@domain, for example alice@contoso.test.";
    ServerNotFound = 1002, "The server for this address cannot be found.", "Check the part behind the @, and that you are on your organisation's network.";
    DiscoveryRefused = 1003, "The server for this address answered in a way that is not understood.", "Tell your help desk the code.";
    DiscoveryForeignDomain = 1004, "The address points to a server of another organisation.", "Ask your help desk whether this is expected; it can be allowed in the configuration.";
    // 1100: network, TLS, clock.
    ServerUnreachable = 1101, "The server does not answer.", "Check the network connection and try again.";
    ServerCertificateUntrusted = 1102, "The server's certificate is not trusted.", "Do not continue; tell your help desk. The organisation's root certificate may be missing on this computer.";
    ServerCertificateName = 1103, "The server's certificate is for another name.", "Do not continue; tell your help desk.";
    ClockWrong = 1104, "The clocks of this computer and of the server differ too much.", "Set the date and time of this computer and try again.";
    ServerTimedOut = 1105, "The server took too long to answer.", "Try again in a minute.";
    // 1200: card, PIN, reader.
    NoReader = 1201, "No card reader was found.", "Connect a reader, or create a virtual card with 'lanyard card create'.";
    NoCard = 1202, "There is no card in the reader.", "Insert your card.";
    CardMute = 1203, "The card does not answer.", "Take it out, wipe the contacts and insert it again.";
    CardRemoved = 1204, "The card was removed before it could sign.", "Insert it again and try once more.";
    PinWrong = 1205, "The PIN is wrong.", "Type the PIN again.";
    PinBlocked = 1206, "The PIN is blocked after too many wrong tries.", "Ask your help desk to unblock it, or unblock it with the PUK: 'lanyard card unblock'.";
    PinRefused = 1207, "This PIN cannot be chosen.", "Choose 6 to 8 digits that are not a row, not all the same, not 12345678 and not the old PIN.";
    PinMustChange = 1208, "The card still has its first PIN.", "Choose your own PIN first: 'lanyard card change-pin'.";
    CardNotEnrolled = 1209, "This card holds no certificate for this address.", "Enrol it first: 'lanyard card enrol'.";
    CardOfSomebodyElse = 1210, "This card belongs to somebody else.", "Use your own card.";
    CardCertificateExpired = 1211, "The certificate on this card has expired.", "Enrol the card again.";
    CardCertificateNotYetValid = 1212, "The certificate on this card is not valid yet.", "Check the date of this computer; otherwise ask your help desk.";
    PcscUnavailable = 1213, "The smart-card service is not running.", "Start pcscd, or use the virtual card's own socket.";
    VirtualCardDamaged = 1214, "The file of a virtual card is damaged.", "Destroy the card with 'lanyard card destroy', create a new one and enrol it.";
    VirtualCardsTooMany = 1215, "There are already ten virtual cards.", "Destroy one that you no longer need with 'lanyard card destroy'.";
    VirtualCardInUse = 1216, "Another program holds this virtual card.", "Close the other program, or wait until it has ended.";
    CardDaemonUnavailable = 1217, "The daemon that serves the virtual cards cannot be started.", "Run 'lanyard-cardd --foreground' to see why.";
    VirtualCardName = 1229, "This name cannot be given to a card.", "Choose a short name of letters, digits and spaces.";
    LastTryUnconfirmed = 1230, "Only one try is left: if this PIN is wrong, the card locks.", "Type the PIN once more to use the last try, or ask your help desk.";
    PinFormat = 1231, "This is no PIN of a card.", "A PIN has 6 to 8 digits.";
    PukWrong = 1232, "The PUK is wrong.", "Type the PUK again; when its tries are used up, only a new card helps.";
    PukBlocked = 1233, "The PUK is blocked after too many wrong tries.", "Ask your help desk for a new card.";
    AdminKeyRefused = 1234, "The card does not accept this admin key.", "Give the card's own admin key, or ask your help desk.";
    CardUnusable = 1235, "The card does not do what is needed.", "Use another card or ask your help desk.";
    CardInUse = 1236, "Another program is using the card.", "Close the other program and try again.";
    CardNotFound = 1237, "There is no such card here.", "See the cards with 'lanyard card list'.";
    CardChoiceNeeded = 1238, "There are several cards.", "Say which one with --card; 'lanyard card list' shows their names.";
    CardNotVirtual = 1239, "This is no virtual card of this computer.", "Only virtual cards can be destroyed.";
    CardAlreadyEnrolled = 1240, "This card already holds a certificate.", "Use --overwrite to replace its key and certificate.";
    // 1250: the computer's TPM.
    TpmAbsent = 1250, "This computer has no TPM that can be used.", "Switch the TPM on in the computer's firmware. Where your organisation permits cards without hardware protection, create one with 'lanyard card create --sealed-file'.";
    TpmDenied = 1251, "Your account may not use this computer's TPM.", "Ask your administrator to put you into the group that owns the TPM's device (usually 'tss'), then sign in to the computer again.";
    TpmFull = 1252, "The TPM's memory is full.", "Destroy virtual cards that are no longer needed, or ask your administrator to remove unused indices from the TPM.";
    TpmOwned = 1253, "The owner of this computer has set a password for its TPM.", "Ask your administrator to remove it while you create the card.";
    TpmForgot = 1254, "The TPM does not know this virtual card any more.", "It was cleared or replaced. Destroy the card with 'lanyard card destroy', create a new one and enrol it.";
    TpmMute = 1255, "The TPM does not answer.", "Try again; if that does not help, restart the computer.";
    TpmTooOld = 1256, "The TPM of this computer is too old for virtual cards.", "Use a plastic card, or another computer.";
    PinPolicyImpossible = 1257, "A card cannot have such a PIN policy.", "A PIN has 6 to 8 digits: choose 'minlen' and 'maxlen' from 6 to 8, digits allowed and everything else disallowed.";
    AttestationNeedsTpm = 1258, "Without a TPM a card cannot prove where its keys are.", "Leave '--attestation' out, or create the card in the TPM.";
    // 1270: readers with keys, cards behind PKCS #11 modules, the choice among cards.
    PadMissing = 1270, "This reader has no keys to type a PIN on.", "Type the PIN at the computer, or use a reader with a PIN pad.";
    PadRequired = 1271, "Your organisation wants the PIN typed on the reader, and not at the computer.", "Use a reader with a PIN pad and type the PIN there.";
    PadCancelled = 1272, "The PIN entry on the reader was cancelled.", "Try again and type the PIN on the reader.";
    PadTimedOut = 1273, "No PIN was typed on the reader in time.", "Try again and type the PIN on the reader.";
    PadMismatch = 1274, "The two new PINs typed on the reader differ.", "Try again and type the same new PIN twice.";
    Pkcs11ModuleUnusable = 1275, "A PKCS #11 module cannot be used.", "Check 'pkcs11_modules' in client.toml, or tell your help desk.";
    Pkcs11ModuleMute = 1276, "A PKCS #11 module does not answer.", "Take the card out, insert it again and try once more; otherwise tell your help desk.";
    TokenPinFormat = 1277, "This is no PIN of this card.", "Type the PIN that came with the card.";
    CardKeyMissing = 1278, "The card holds a certificate without its key.", "Enrol the card again, or use another card.";
    CardKeyKind = 1279, "The kind of key on this card cannot be used.", "Use a card with an RSA-2048, P-256 or P-384 key.";
    CardOfOtherOrganisation = 1280, "This card was issued by another organisation.", "Use the card of your own organisation.";
    // 1300: sign-in, federation, tickets, policy.
    SignInRefused = 1301, "The server refused the sign-in.", "Tell your help desk the code.";
    CardCertificateRevoked = 1302, "This card was reported lost or its certificate was revoked.", "Ask your help desk for a new card.";
    CardCertificateForeign = 1303, "This card was issued by an authority that the server does not accept.", "Use the card of this organisation.";
    CardCertificatePurpose = 1304, "The certificate on this card is not meant for sign-in.", "Use another card or ask your help desk.";
    CardNotActive = 1305, "This card is issued but not active yet: choose your own PIN first.", "Change the PIN with 'lanyard card change-pin'.";
    AccountDisabled = 1306, "This account is disabled.", "Ask your help desk.";
    AddressNotOfCard = 1307, "This card belongs to another person than the sign-in address.", "Type your own address or use your own card.";
    TicketInvalid = 1308, "The sign-in ticket is missing, damaged or expired.", "Sign in again.";
    CardKindRefused = 1309, "The organisation's policy does not accept this kind of card.", "Ask your help desk which cards are accepted.";
    CardRequired = 1310, "A password is not accepted for this account.", "Sign in with your card.";
    AccountUnknown = 1311, "There is no account for this address.", "Check the address or ask your help desk.";
    PasswordRefused = 1312, "The address or the password is wrong.", "Type both again, or ask your help desk for a new password.";
    AddressNotOfPassword = 1313, "This name and password belong to another person than the sign-in address.", "Type your own address.";
    PasswordNotSet = 1314, "No password is set for this account.", "Ask your help desk to set one.";
    // 1400: enrolment, requests, certificates.
    EnrolCodeRefused = 1401, "The one-time code is wrong, used or expired.", "Ask your administrator for a new code.";
    RequestMalformed = 1402, "The certificate request cannot be read.", "Create the request again.";
    RequestSignature = 1403, "The signature of the certificate request is wrong.", "Create the request again on the card that holds the key.";
    RequestKeyWeak = 1404, "The key of the certificate request is too weak or of an unknown kind.", "Use P-256, P-384 or RSA with at least 2048 bits.";
    RequestTooLarge = 1405, "The request is too large.", "Send only the certificate request.";
    TooManyTries = 1406, "There were too many wrong tries.", "Wait a few minutes and try again.";
    TemplateNotOffered = 1407, "This kind of certificate cannot be asked for here.", "Ask for the template SmartcardUser.";
    RequestHashObsolete = 1408, "The certificate request is signed with an obsolete hash.", "Create it again with SHA-256 or better.";
    RequestKeysEqual = 1409, "Both certificate requests are for the same key.", "Create two keys on the card and try again.";
    EnrolmentMalformed = 1410, "The enrolment cannot be read.", "Send JSON as the description of the interface says.";
    RequestKeyRefused = 1411, "This key cannot be certified.", "Create a new key on the card and try again.";
    EnrolmentUnavailable = 1420, "The enrolment service cannot be found.", "Name it with --server, or ask your administrator.";
    EnrolmentRefused = 1421, "The enrolment was refused.", "Tell your help desk the code.";
    EnrolmentAnswer = 1422, "The enrolment service answered in a way that is not understood.", "Tell your help desk the code.";
    EnrolmentMismatch = 1423, "The certificate that came does not fit the key of this card.", "Do not use it; tell your help desk.";
    // 1440: the life of a card.
    CardOutOfLife = 1440, "This card cannot be enrolled as it stands.", "It was reported lost, damaged or destroyed: ask your help desk, or use another card.";
    CardNotPersonalised = 1441, "The card is enrolled, but it could not be put into the care of your help desk.", "It signs in. Enrol it again when you can, so that a forgotten PIN can be helped.";
    UnblockCodeRefused = 1442, "The code for unblocking is wrong, used or expired.", "Ask your help desk for a new code.";
    DeskResponseMalformed = 1443, "This is no response of the help desk.", "Compare it letter by letter with what you were told; it has four groups of four.";
    DeskResponseWrong = 1444, "The response does not fit this card and this challenge.", "Ask the help desk to read it again; the challenge is shown by 'lanyard card unblock'.";
    DeskResponseLate = 1445, "The challenge is too old, or was never shown.", "Begin again with 'lanyard card unblock': it shows a new challenge.";
    DeskNotReady = 1446, "The help desk cannot unblock this card.", "Unblock it with its PUK: 'lanyard card unblock --puk-fd', or use a new card.";
    DeskResponseBlocked = 1447, "There were too many wrong responses for this challenge.", "Begin again with 'lanyard card unblock': it shows a new challenge.";
    DeskChallengeMalformed = 1448, "This is no challenge of a card.", "Let the holder read it again, in two groups of five.";
    DeskTooMany = 1449, "This card was unblocked too often lately.", "Look into it before you go on; in doubt withdraw the card.";
    DeskIdentityUnchecked = 1450, "The holder's identity was not confirmed.", "Go through the check list, or let the holder come with an identity card.";
    RenewalTooEarly = 1451, "It is too early to renew this card.", "The card still holds for long; try again when it reminds you.";
    RenewalNotNeeded = 1452, "This card was renewed already.", "Sign in with it; there is nothing to do.";
    RenewalMismatch = 1453, "The renewal does not fit this card.", "Renew with the card itself, on the computer that it is in.";
    RenewalNewKeyUnsupported = 1454, "This card cannot take a new key without a moment in which it holds none.", "Renew it with its old key, or enrol it again with a code.";
    CardNameRefused = 1455, "This cannot be the name of a card.", "Choose a name of 1 to 64 characters.";
    CardUnknown = 1456, "You have no such card.", "See your cards with 'lanyard my-cards list'.";
    CardExpiresSoon = 1457, "The certificate on your card ends soon.", "Renew it now: 'lanyard card renew'.";
    RenewalDoubtful = 1458, "The renewal was begun but not finished.", "Try again: the old certificate is still good.";
    KeyAssuranceDemanded = 1470, "Your organisation demands a proof of where the key of a card lives, and this card gives none that counts.", "Use a virtual card in the TPM, or a card whose maker your organisation has added; your help desk knows which.";
    AttestationMalformed = 1471, "What the computer says about where the key lives cannot be read.", "Update Lanyard on this computer; otherwise tell your help desk the code.";
    AttestationLate = 1472, "The proof of where the key lives came too late, or twice.", "Enrol again.";
    AttestationKeys = 1473, "The TPM of this computer shows keys that are not known here.", "Tell your help desk the code: the server cannot work with this TPM.";
    AttestationRefused = 1474, "The proof of where the key lives does not hold.", "Enrol again on the computer that holds the key; otherwise tell your help desk the code.";
    // 1500: session and registration.
    SessionEndedCardRevoked = 1501, "Your session was ended because your card was reported lost or revoked.", "Ask your help desk for a new card.";
    SessionEndedAccountDisabled = 1502, "Your session was ended because your account was disabled.", "Ask your help desk.";
    SessionEndedByAdministrator = 1503, "Your session was ended by an administrator.", "Sign in again or ask your help desk.";
    SessionEndedServerStops = 1504, "The server is being stopped.", "Your client will try again in a moment.";
    SessionLost = 1505, "The connection to the server was lost.", "The client tries to reconnect; check the network.";
    SessionCertificateEnds = 1506, "The sign-in has reached its time limit.", "Sign in again with your card.";
    SessionEndedPolicy = 1507, "Your session was ended because your organisation no longer accepts a password for this account.", "Sign in with your card.";
    SessionEndedPassword = 1508, "Your session was ended because your password was changed.", "Sign in with the new password.";
    SessionEndedSlowReader = 1560, "Your session was ended because this computer did not take what the server sent.", "Check the network; the client tries again by itself.";
    EndpointsTooMany = 1561, "You are signed in on too many devices.", "Sign out on one of them.";
    SessionEndedPresence = 1540, "Your session was ended: your card did not show that it is still there.", "Put your card into the reader and sign in again.";
    PresenceKeyMissing = 1541, "Your organisation asks cards to show that they are there, and this card has no key for it.", "Enrol the card again, or use another one.";
    PresenceCertificate = 1542, "This certificate cannot show that a card is there.", "Use the card's own certificate (slot 9E).";
    CardTakenOut = 1543, "Your card was taken out.", "Put it back and sign in again.";
    Locked = 1544, "Lanyard is locked: your card was taken out.", "Put your card back and sign in again: 'lanyard sign-in' unlocks it.";
    PresenceUnproved = 1545, "Your card has to show that it is there, and it does not answer.", "Put it back into the reader; otherwise your session ends soon.";
    // 1600: contacts and messages.
    MessageNotDelivered = 1601, "The message could not be delivered.", "The person may be offline; try again later.";
    PersonUnknown = 1602, "Nobody with this address is known here.", "Check the address.";
    ContactsChangedElsewhere = 1603, "The contact list was changed somewhere else at the same time.", "Try the change again.";
    TextTooLong = 1620, "The text is too long for one message.", "Send it in parts.";
    MessageEmpty = 1621, "There is nothing to send.", "Type a text.";
    ContactRefused = 1622, "The server refused the change of the contact list.", "Try again; tell your help desk if it goes on.";
    StatusRefused = 1623, "The server did not take the status.", "Try again.";
    GroupUnknown = 1640, "There is no group of this name in your contact list.", "List the groups and check the name.";
    GroupExists = 1641, "There is already a group of this name.", "Choose another name.";
    GroupNameInvalid = 1642, "This cannot be the name of a group.", "Choose a name of 1 to 64 characters that does not begin with '~'.";
    ConversationUnknown = 1643, "This conversation has ended.", "Begin a new one.";
    InvitationFailed = 1644, "The person could not be brought into the conversation.", "Try again later.";
    ConversationFull = 1645, "No more people fit into this conversation.", "Begin another one.";
    LevelRefused = 1646, "The server did not take the change of what this person may see.", "Try again; tell your help desk if it goes on.";
    AlreadyInConversation = 1647, "This person is in the conversation already.", "There is nothing to do.";
    LevelUnknown = 1648, "There is no such level.", "Choose personal, team, colleague, public or blocked; 'reset' takes a choice back.";
    PhotoRefused = 1660, "This file cannot be somebody's photo.", "Give a JPEG or PNG picture of a usual size.";
    SearchEmpty = 1661, "There is nothing to look for.", "Type the beginning of a name, an address, a title or a telephone number.";
    SearchTooOften = 1662, "You have looked for people very often just now.", "Wait a minute and try again.";
    DirectoryNotOffered = 1663, "Your server offers no search for people.", "Ask your administrator.";
    DirectoryUnavailable = 1664, "The directory could not be asked.", "Try again; tell your help desk if it goes on.";
    PhotoMissing = 1665, "This person has no photo.", "Nothing needs to be done.";
    // 1700: server configuration, administration, database.
    ConfigInvalid = 1701, "The configuration is not valid.", "Correct the line that is named.";
    DataDirectoryInUse = 1702, "Another server is running on this data directory.", "Stop it first, or choose another directory.";
    DataDirectoryNotEmpty = 1703, "The data directory is not empty.", "Choose an empty directory.";
    PortInUse = 1704, "A port that the server needs is in use.", "Stop the other program or change the port.";
    DatabaseDamaged = 1705, "The database is damaged.", "Restore the last backup; 'lanyard-server doctor' tells more.";
    DatabaseBusy = 1706, "The database is locked by another program.", "Close the other program and try again.";
    DiskFull = 1707, "The disk is full.", "Free some space; nothing that was confirmed is lost.";
    NotFound = 1708, "There is no such entry.", "List the entries and check the name.";
    AlreadyExists = 1709, "There is already such an entry.", "Choose another name.";
    AuditChainBroken = 1710, "The audit trail was changed after the fact.", "Keep the database as it is and call your security officer.";
    ServerInternal = 1711, "The server met a fault of its own.", "Try again; the server's log tells more.";
    ServerFile = 1712, "A file of the server cannot be read or written.", "Check its owner, its permissions and the disk.";
    DataDirectoryIncomplete = 1713, "This is not a complete data directory.", "Make one with 'lanyard-server init', or name the right one with --data.";
    DatabaseNewer = 1714, "The database was written by a newer version of this program.", "Install that version again, or restore the backup made before it.";
    NotAllowed = 1715, "You may not administer this server.", "Run the command as the user of the server, or as root.";
    AdminProtocol = 1716, "The server and this command do not understand each other.", "Use the command of the same version as the server.";
    AdminInput = 1717, "The command was given something that it cannot use.", "Correct it and run the command again.";
    CardStateRefused = 1718, "The card is not in a state that allows this.", "Look at its state with 'lanyard-server card list'.";
    CardAmbiguous = 1719, "More than one card could be meant.", "Name the card by its number, as 'lanyard-server card list' shows it.";
    AuthorityUnusable = 1720, "The certificates or keys of the authority cannot be used.", "Restore the directory 'ca' from a backup; 'lanyard-server doctor' tells more.";
    TlsIdentityUnusable = 1721, "The certificate or key of the listeners cannot be used.", "Check the files that section [tls] names; 'lanyard-server doctor' tells more.";
    DoctorFound = 1722, "The server's installation has faults.", "Follow the steps given with each of them.";
    SecretInput = 1723, "The secret could not be read.", "Type it at the prompt, or give a file descriptor that is open for reading.";
    PortUnusable = 1724, "A port that the server needs cannot be used.", "Check the address; ports below 1024 need the capability CAP_NET_BIND_SERVICE or root.";
    ServerNotRunning = 1725, "No server is running on this data directory.", "Start it with 'lanyard-server serve', or name the right directory with --data.";
    AdminAnswerLost = 1726, "The server went away before it had answered.", "Look whether the change was made before you repeat it.";
    // 1800: local files, agent, command line.
    NoSession = 1801, "Nobody is signed in here.", "Sign in first: 'lanyard sign-in'.";
    AgentUnreachable = 1802, "The background process does not answer.", "Run 'lanyard exit' and sign in again.";
    LocalFile = 1803, "A file of this account cannot be read or written.", "Check the permissions and the space on the disk.";
    ConfigClientInvalid = 1804, "The client's configuration is not valid.", "Correct the line that is named.";
    AlreadySignedIn = 1805, "Somebody else is signed in with this profile.", "Sign out first, or choose another profile with --profile.";
    CardDaemonRunning = 1820, "The card daemon is already running.", "Nothing needs to be done: your cards are being served.";
    SecretMissing = 1830, "A secret is needed and there is nobody to ask.", "Run it in a terminal, or pass a file descriptor (--pin-fd and the like).";
    NotNow = 1831, "This cannot be done now.", "See 'lanyard status'.";
    RequestNotUnderstood = 1832, "The background process did not understand the request.", "Run 'lanyard exit' and start again: the programs may be of different versions.";
    StatusUnknown = 1833, "There is no such status.", "Choose available, busy, do-not-disturb, be-right-back or away.";
    Cancelled = 1834, "The sign-in was cancelled.", "Sign in again when you like.";
}
